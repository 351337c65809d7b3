"""Campaigns over the fuzz targets: `python -m campaign` with PYTHONPATH=fuzz; see __main__.py."""
