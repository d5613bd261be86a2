"""The use cases behind every door: values and functions without click, rich or printing.

Loading the package loads neither Celery nor an HTTP client; they are loaded when something is sent.
"""

__version__ = "0.2.0"
