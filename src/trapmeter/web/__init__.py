"""What the local pages share: who may open them, the server, its files, and pictures of videos and photos."""
