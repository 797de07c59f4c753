"""The nouns: frozen dataclasses that every room passes on. Standard library only."""
