"""The Django projects that are measured, and the floor."""
