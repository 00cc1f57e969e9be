"""One thin module per subcommand: read the options, call the layer below, show the result."""
