"""Roads of a town: networks of netgenerate or OpenDRIVE, smooth lanes and connectors, and their nuPlan map."""
