"""What a training step costs: contenders in processes of their own, measured by turns."""
