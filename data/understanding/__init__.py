"""Labelled utterances and chat lexicons, all written for this project; see README.md."""
