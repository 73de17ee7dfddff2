// npm install standardwebhooks
const { Webhook } = require("standardwebhooks");

/** The event, if it is from ARPilot and fresh; throws otherwise. `body` is the raw text, before any JSON parser. */
function verify(secret, headers, body) {
  return new Webhook(secret).verify(body, headers);
}

module.exports = { verify };
