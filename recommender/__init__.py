"""How Zhiwei chooses: safety, profiles, predictions, policies and their evaluation."""
