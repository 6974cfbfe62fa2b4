"""Published ablations, one JSON file per claim."""
