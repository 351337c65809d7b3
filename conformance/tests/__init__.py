"""The harness judged by itself."""
