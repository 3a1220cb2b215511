"""Tables of results: building and describing them."""
