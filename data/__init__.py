"""What Zhiwei knows: the catalogue, the lessons, the events, and where they are kept."""
