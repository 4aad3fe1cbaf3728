"""What a person means by a message: intent, slots, and the warnings that safety needs."""
