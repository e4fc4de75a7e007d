"""Scene and AgentInput to tensors, the same code in training and in inference."""
