"""Tests of minicnn.caffe."""
