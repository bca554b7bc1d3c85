"""Certificates: what a change to a model cost, measured, and whether that is within a contract. No torch."""
