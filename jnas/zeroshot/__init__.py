"""Estimators without training: scores of untrained networks. Each function returns an `types.Estimator`."""

from jnas.zeroshot.naswot import hamming_kernel, log_determinant, naswot

__all__ = ["hamming_kernel", "log_determinant", "naswot"]
