"""The Celery application and its tasks: the only package that imports celery."""
