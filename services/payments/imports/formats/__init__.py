"""The formats of bank files, each as a stream of rows; pure but for reading the file that is handed in."""
