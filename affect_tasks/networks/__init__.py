"""Network architectures as plain Keras builders."""
