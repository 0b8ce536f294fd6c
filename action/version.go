package main

// version is the release that this source is, or will be. checksums.txt belongs to it: how, the release
// workflow says.
const version = "0.1.0"
