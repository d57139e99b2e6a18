"""What keeps people and hardware safe outside the test: keeper, lease, authority to arm, secrets."""
