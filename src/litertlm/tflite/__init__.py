"""Writing TFLite files: plan every size and offset first, then stream the weights."""

from litertlm.tflite.plan import Layout, Placed, plan
from litertlm.tflite.write import Arrival, pwrite_all, write

__all__ = ["Arrival", "Layout", "Placed", "plan", "pwrite_all", "write"]
