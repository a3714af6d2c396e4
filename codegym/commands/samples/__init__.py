"""Programs that people have: read in the formats of the field, and matched with problems."""
