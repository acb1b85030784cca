"""The paper's experiments: configuration, pipeline, records and tables. They use vblora, not the reverse."""
