"""Speed beside public tools: side by side in one run, medians, ratios. ``python -m benchmarks`` runs all of it."""
