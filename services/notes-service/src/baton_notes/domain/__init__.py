"""What notes knows: documents and their versions, and how care goes back to the referrer."""
