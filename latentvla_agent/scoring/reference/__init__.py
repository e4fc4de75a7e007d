"""The reference plan: PDM-Closed as the devkit's metric cache runs it (route, centreline, proposals, selection)."""
