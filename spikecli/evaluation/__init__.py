"""What is asked of a trained network: answers, scores, energy, time, behavior under damage."""
