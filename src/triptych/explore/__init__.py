"""What one trained model can show: samples, codes, walks, neighbours."""
