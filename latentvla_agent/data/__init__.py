"""Readers and writers of OpenScene logs, nuPlan maps and NAVSIM splits. Knows no other room of the package."""
