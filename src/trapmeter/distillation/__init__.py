"""One small network that learns what an ensemble answers: a fraction of its time, nearly its error."""
