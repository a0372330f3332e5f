"""Where frames come from: video files, images, test patterns and feeds, behind one interface."""
