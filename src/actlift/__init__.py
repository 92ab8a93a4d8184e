"""actlift: lift 2D keypoints to 3D motion with temporal networks that know the action.

Axis letters used everywhere: b batch, t time (frames of one sequence), f frames (of many sequences, one behind the
other), j joints, a actions, c channels. Frames of reference are suffixes: _world, _cam (metres), _px, _screen.
"""

__version__ = "0.1.0"
