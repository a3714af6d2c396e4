"""The files of a data set: where they are, how they are downloaded, and their rows."""
