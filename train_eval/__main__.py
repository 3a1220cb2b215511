"""``python -m train_eval`` is the command ``cnnarch``."""

from train_eval.cli.cnnarch import main

main()
