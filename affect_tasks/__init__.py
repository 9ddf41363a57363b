"""Train, compare and promote image classifiers: the package behind the DAG."""
