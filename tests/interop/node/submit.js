// Submits messages with nodemailer. One argument, JSON: `transport` (options of createTransport,
// with `ca` as a file's path), `messages` (a list of options of sendMail). Prints one JSON line for
// each message: { response } or { code, command, responseCode, response }.

const fs = require("fs");
const nodemailer = require("nodemailer");

async function main() {
  const { transport, messages } = JSON.parse(process.argv[2]);
  transport.tls = { ...transport.tls, ca: fs.readFileSync(transport.ca) };
  delete transport.ca;
  const transporter = nodemailer.createTransport(transport);
  for (const message of messages) {
    try {
      const { response, accepted, rejected } = await transporter.sendMail(message);
      console.log(JSON.stringify({ response, accepted, rejected }));
    } catch (error) {
      const { code, command, responseCode, response } = error;
      console.log(JSON.stringify({ code, command, responseCode, response, text: error.message }));
    }
  }
  transporter.close();
}

main();
