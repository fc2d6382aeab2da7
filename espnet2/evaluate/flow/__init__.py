"""SpeechFlow's filled gaps, to see and to hear."""
