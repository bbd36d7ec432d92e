"""Files: read behind one gate, written atomically, unpacked, downloaded."""
