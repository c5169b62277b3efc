"""One camera: its lens, its mounting, and the ground that it sees, fitted to what a field team measured."""
