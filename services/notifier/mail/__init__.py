"""The mechanism of mail: building a message, handing it over, keeping it where it may not leave."""
