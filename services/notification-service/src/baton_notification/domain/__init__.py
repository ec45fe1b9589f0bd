"""What it means to keep an office informed: offices, deliveries, proof, and who may see what. No I/O, no
clock.
"""
