"""Tests of the pretended Devices, over real TCP where a Client is in it."""
