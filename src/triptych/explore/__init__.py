"""What one trained model can show: samples, codes, interpolations, neighbours."""
