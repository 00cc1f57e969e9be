"""What a run is made of, as validated data. Imports neither torch nor numpy.

model, optim, schedule, run: the pydantic models of each TOML table; loader: files, `--set`, errors;
presets: well-known model shapes, importable without pydantic.
"""
