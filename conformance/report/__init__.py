"""What a run tells: the document (JSON) that is the evidence, and the story for a terminal."""
