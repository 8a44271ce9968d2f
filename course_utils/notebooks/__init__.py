"""Notebooks, seen from outside: in comes a file, out comes its executed copy; or a place where it can be executed.

``execution`` runs them for `course notebooks`. ``surroundings`` is what the first cell of one that came alone (to
Colab, say) calls. Nothing is imported here: the latter must work where hardly anything is installed yet.
"""
