"""What a design is, apart from any rig: lint, synthesis, its power-up, and what single flipped bits of it reach."""
