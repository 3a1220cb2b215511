"""The front door: ``run_search`` and ``fit`` do the work, ``Run`` is what they leave behind."""
