const { createHmac, timingSafeEqual } = require("node:crypto");

/** The event, if it is from ARPilot and not older than five minutes; throws otherwise. `body` is the raw text. */
function verify(secret, headers, body) {
  const id = headers["webhook-id"], timestamp = headers["webhook-timestamp"];
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= 300)) throw new Error("the timestamp is too far off");
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = Buffer.from("v1," + createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64"));
  // while a secret is being rotated there are two signatures, separated by a space
  const given = headers["webhook-signature"].split(" ").map((each) => Buffer.from(each));
  if (!given.some((each) => each.length === expected.length && timingSafeEqual(each, expected))) {
    throw new Error("no signature matches");
  }
  return JSON.parse(body);
}

module.exports = { verify };
